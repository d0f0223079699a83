"""What the project's own files and interpreter say; every reader returns facts and `Unread`, and runs on its own."""
