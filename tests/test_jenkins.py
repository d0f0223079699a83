"""Jenkinsfiles, declarative and scripted: what their stages do, and what cannot be told from the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from rcakit.facts import CiJob
from rcakit.sources import ci_static
from rcakit.sources.groovy import GroovyError, statements

DECLARATIVE = """\
// pytest in a comment { is nothing
pipeline {
    agent { docker { image 'python:3.12' } }
    environment { DJANGO_SETTINGS_MODULE = 'config.ci' }
    stages {
        stage('Lint') { steps { sh 'ruff check' } }
        stage("Database") {
            steps {
                sh '''
                    docker run -d \\\\
                        postgres:15
                '''
            }
        }
        stage('Test') {
            steps {
                sh "${env.VENV ?: "venv"}/bin/python manage.py migrate"
                catchError(buildResult: 'SUCCESS', stageResult: 'FAILURE') {
                    sh label: 'tests', script: 'pytest -q'
                }
                sh(script: '''
                    psql -c "select 1 from pg_class"
                ''')
            }
        }
    }
    post { always { echo "pytest's done" } }
}
"""
SCRIPTED = """\
def suite(what) {
    sh 'make test'
}

node('linux') {
    stage('Test') {
        docker.image('postgis/postgis:15').withRun('-e POSTGRES_PASSWORD=x') { db ->
            withEnv(['DJANGO_SETTINGS_MODULE=config.test']) {
                try {
                    suite('all')
                } catch (err) {
                    echo 'too bad'
                }
            }
        }
    }
    stage('Parallel') {
        parallel(
            unit: { sh 'pytest tests/unit' },
            lint: { sh 'ruff check' }
        )
    }
}
"""


def read(tmp_path: Path, text: str) -> tuple[dict[str, CiJob], list[str]]:
    (tmp_path / "Jenkinsfile").write_text(text, encoding="utf-8")
    jobs, unread = ci_static.read(tmp_path)
    assert not any(each.blocking for each in unread)
    found = {job.name: job for job in jobs if not job.local}
    return found, [f"{each.where}: {each.reason}" for each in unread]


def lines(job: CiJob) -> dict[str, int | None]:
    names = ("where", "postgresql", "tests", "migrates", "restores", "catalog", "may_fail")
    return {name: where.line for name in names if (where := getattr(job, name)) is not None}


def test_a_declarative_pipeline(tmp_path: Path) -> None:
    jobs, unread = read(tmp_path, DECLARATIVE)
    assert unread == []
    assert list(jobs) == ["Lint", "Database", "Test"]
    assert lines(jobs["Lint"]) == {"where": 6}
    assert lines(jobs["Database"]) == {"where": 7, "postgresql": 11}
    assert lines(jobs["Test"]) == {
        "where": 15, "postgresql": 11, "migrates": 17, "tests": 19, "catalog": 22, "may_fail": 19,
    }  # fmt: skip
    assert {(job.system, job.settings, job.local) for job in jobs.values()} == {
        ("Jenkins", "config.ci", False)
    }


def test_a_scripted_pipeline_with_a_function_and_what_it_leaves_to_make(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("test:\n\tpython -m pytest\n")
    jobs, unread = read(tmp_path, SCRIPTED)
    assert unread == []
    assert lines(jobs["Test"]) == {"where": 6, "postgresql": 7, "tests": 2}
    assert jobs["Test"].settings == "config.test"
    assert lines(jobs["Parallel"]) == {"where": 17, "tests": 19}


@pytest.mark.parametrize(
    "around",
    [
        "agent { docker { image 'postgres:15' } }\nsteps { sh 'pytest' }",
        "agent { kubernetes { yaml '''\nspec:\n  containers:\n  - image: postgres:15\n''' } }\nsteps { sh 'pytest' }",
        "def db = docker.image('postgres:15').run()\nsh 'pytest'",
        "podTemplate(containers: [containerTemplate(name: 'db', image: 'postgres:15')]) { sh 'pytest' }",
        "sh 'docker compose up -d postgres && pytest'",
    ],
)
def test_a_server_is_seen(tmp_path: Path, around: str) -> None:
    jobs, unread = read(tmp_path, f"node {{ stage('x') {{\n{around}\n}} }}")
    assert jobs["x"].postgresql is not None
    assert jobs["x"].tests is not None
    assert unread == []


@pytest.mark.parametrize(
    "around",
    [
        "agent { label 'postgres' }\nsteps { sh 'pytest' }",
        "echo 'docker run postgres'\nsh 'pytest'",
        "withCredentials([string(credentialsId: 'postgres', variable: 'X')]) { sh 'pytest' }",
        "/* docker.image('postgres:15') */ sh 'pytest'",
    ],
)
def test_none_is_made_up(tmp_path: Path, around: str) -> None:
    jobs, _ = read(tmp_path, f"node {{ stage('x') {{\n{around}\n}} }}")
    assert jobs["x"].postgresql is None
    assert jobs["x"].tests is not None


def test_a_server_of_one_stage_is_not_there_for_another(tmp_path: Path) -> None:
    stages = "stage('a') { agent { docker { image 'postgres:15' } }\n steps { sh 'pytest' } }\nstage('b') { steps { sh 'pytest' } }"
    jobs, _ = read(tmp_path, f"pipeline {{ stages {{ {stages} }} }}")
    assert [job.postgresql is None for job in jobs.values()] == [False, True]


@pytest.mark.parametrize(
    ("around", "forgiven"),
    [
        ("warnError('tests') { sh 'pytest' }", True),
        ("catchError { sh 'pytest' }", False),
        ("sh script: 'pytest', returnStatus: true", True),
        ("sh 'pytest || true'", True),
        ("try { sh 'pytest' } catch (e) { throw e }", False),
        ("try { sh 'pytest' } catch (e) { currentBuild.result = 'FAILURE' }", False),
        ("try { sh 'pytest' } finally { echo 'x' }", False),
        ("try { sh 'pytest' }\ncatch (e) { echo 'x' }", True),
    ],
)
def test_what_forgives_a_failure(tmp_path: Path, around: str, forgiven: bool) -> None:
    jobs, _ = read(tmp_path, f"node {{ stage('x') {{ {around} }} }}")
    assert jobs["x"].tests is not None
    assert (jobs["x"].may_fail is not None) is forgiven


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pipeline {}", "Jenkinsfile:1: no stage and no command was found"),
        ("@Library('shared') _\nnode { sh 'pytest' }", "Jenkinsfile:1: what a shared library or another script adds is not read"),
        ("node {\n  sh command\n}", "Jenkinsfile:2: a command is made up while the pipeline runs"),
        ("node {\n docker.image(db).withRun { sh 'pytest' } }", "Jenkinsfile:2: the image is made up while the pipeline runs"),
        ("pipeline { agent { dockerfile true }\n stages { stage('x') { steps { sh 'a' } } } }", "Jenkinsfile:1: the file that describes the containers is not read"),
        ("node {\n  sh 'pytest\n}", "Jenkinsfile:2: the Jenkinsfile cannot be read: a text is never closed"),
        ("node {\n", "Jenkinsfile:1: the Jenkinsfile cannot be read: a brace is never closed"),
        ("}", "Jenkinsfile:1: the Jenkinsfile cannot be read: a brace is closed that was not opened"),
        ("/* node", "Jenkinsfile:1: the Jenkinsfile cannot be read: a comment is never closed"),
        ("{" * 5000, "Jenkinsfile:1: the Jenkinsfile cannot be read: braces are too deep in each other"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_told(tmp_path: Path, text: str, told: str) -> None:
    assert told in read(tmp_path, text)[1]


def test_a_function_that_calls_itself_ends(tmp_path: Path) -> None:
    jobs, _ = read(tmp_path, "def again() { sh 'pytest'\n again() }\nnode { stage('x') { again() } }")
    assert jobs["x"].tests is not None


def test_statements() -> None:
    found = statements("a = 'x' +\n 'y'; b /* { */ c\nif (x ==~ /it's {/) { d }\nfoo\n  .bar()")
    assert [[token.value for token in each.head] for each in found] == [
        ["a", "=", "x", "+", "y"], ["b", "c"], ["if", "(", "x", "=", "=", "~", "it's {", ")"], ["foo", ".bar", "(", ")"],
    ]  # fmt: skip
    assert [each.name for each in found[2].body or ()] == ["d"]
    with pytest.raises(GroovyError, match="never closed"):
        statements("x = '''a")
