"""What was known before: findings of an old project that are not to fail its checks."""
