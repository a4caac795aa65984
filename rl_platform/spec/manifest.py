"""Manifests in and out: YAML to TrainingJob with every error at once, and back with every default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path as FilePath
from typing import Any

import yaml
from pydantic import ValidationError

from rl_platform.spec.explaining import explain
from rl_platform.spec.manifest_file import read_manifest_file
from rl_platform.spec.overrides import apply_overrides
from rl_platform.spec.problems import ManifestError, Path, Problem, path_text
from rl_platform.spec.training_job import API_VERSION, KIND, TrainingJob
from rl_platform.spec.yaml_reading import Document, read_documents, read_scalar

__all__ = [
    "ManifestError",
    "Problem",
    "as_job",
    "dump_manifest",
    "json_schema",
    "load_manifest",
    "load_manifests",
    "parse_manifests",
    "yaml_text",
]

_FOLLOWS_FROM_ANOTHER = "default_factory_not_called"


def load_manifests(path: str | FilePath) -> list[TrainingJob]:
    """Every TrainingJob of a file. Raises ManifestError with all that is wrong, in the order of the file."""
    return parse_manifests(read_manifest_file(FilePath(path)), str(path))


def load_manifest(path: str | FilePath, overrides: Sequence[str] = ()) -> TrainingJob:
    """The one TrainingJob of a file, after ``overrides`` such as ``spec.seed=3`` (the value is YAML).

    Raises ManifestError; a problem that an override brought has ``--set spec.sed=3`` as its file and no line.
    """
    file = str(path)
    documents, problems = read_documents(read_manifest_file(FilePath(path)), file)
    if problems:
        raise ManifestError(problems)
    if len(documents) != 1:
        found = f"holds {len(documents)} documents" if documents else "holds nothing"
        raise ManifestError([Problem(file, None, "", found, "one TrainingJob is needed")])
    origins: dict[Path, str] = {}
    if isinstance(documents[0].value, dict):
        origins, problems = apply_overrides(documents[0].value, overrides)
        documents[0].forget_lines(origins)
    job, more = _validate(documents[0], file, origins)
    if job is None or problems:
        raise ManifestError([*problems, *more])
    return job


def parse_manifests(text: str, file: str = "<manifest>") -> list[TrainingJob]:
    """As `load_manifests`, of a text; ``file`` is what problems call it."""
    documents, problems = read_documents(text, file)
    if not documents and not problems:
        problems = [Problem(file, None, "", "holds nothing", f"a document of kind {KIND} is needed")]
    if problems:
        raise ManifestError(problems)
    results = [_validate(document, file, {}) for document in documents]
    problems = [problem for _, found in results for problem in found]
    if problems:
        raise ManifestError(problems)
    return [job for job, _ in results if job is not None]


def as_job(source: object) -> TrainingJob:
    """A TrainingJob itself, or that of a manifest's path or of its content as a dict.

    Raises ManifestError, and TypeError for anything else.
    """
    if isinstance(source, TrainingJob):
        return source
    if isinstance(source, str | PathLike):
        return load_manifest(FilePath(source))
    if not isinstance(source, Mapping):
        raise TypeError(
            f"a job is a TrainingJob, the path of a manifest, or its content as a dict; got {source!r:.100}"
        )
    job, problems = _validate(Document(dict(source), 1), "job", {})
    if job is None:
        raise ManifestError([problem._replace(line=None) for problem in problems])
    return job


def dump_manifest(job: TrainingJob, effective: bool = True) -> str:
    """YAML that loads to an equal job. ``effective``: with every default, else as it was given."""
    document: dict[str, Any] = {"apiVersion": job.api_version, "kind": job.kind}
    document["metadata"] = job.metadata.model_dump(mode="json", exclude_defaults=True)
    # Nulls of free JSON survive exclude_none: it drops fields only.
    document |= job.model_dump(
        mode="json", exclude={"metadata"}, exclude_none=True, exclude_unset=not effective
    )
    return yaml_text(document)


def yaml_text(document: Mapping[str, Any]) -> str:
    """YAML that every reader takes for the same values, in the document's order."""
    text = yaml.dump(
        dict(document),
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
        width=110,
    )
    return str(text)


def json_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of a manifest, for editors."""
    schema = TrainingJob.model_json_schema(mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["required"] = ["apiVersion", "kind", "metadata", "spec"]
    algorithm = schema["$defs"]["AlgorithmSpec"]
    algorithm |= {"minProperties": 1, "maxProperties": 1}
    return schema


def _validate(
    document: Document, file: str, origins: dict[Path, str]
) -> tuple[TrainingJob | None, list[Problem]]:
    def problem(path: Path, message: str, hint: str) -> Problem:
        for length in range(len(path), -1, -1):
            if path[:length] in origins:
                return Problem(origins[path[:length]], None, path_text(path), message, hint)
            if path[:length] in document.lines:
                return Problem(file, document.lines[path[:length]], path_text(path), message, hint)
        return Problem(file, document.line, path_text(path), message, hint)

    if not isinstance(document.value, dict):
        return None, [problem((), "is not a map of fields", f"a document of kind {KIND} is needed")]
    header = [problem(*it) for it in _header_faults(document.value)]
    if header:
        return None, header
    try:
        return TrainingJob.model_validate(document.value, by_alias=True, by_name=False), []
    except ValidationError as error:
        errors = [it for it in error.errors(include_url=False) if it["type"] != _FOLLOWS_FROM_ANOTHER]
        found = [problem(*explain(it, TrainingJob, document.value)) for it in errors]
        return None, sorted(found, key=lambda it: it.line or 0)


def _header_faults(value: dict[str, Any]) -> list[tuple[Path, str, str]]:
    """What is wrong before any field: a document of another kind would only give misleading errors."""
    faults: list[tuple[Path, str, str]] = []
    for field, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        given = value.get(field)
        if given is None:
            faults.append(((field,), "is missing", f"`{field}: {wanted}` is needed"))
        elif given != wanted:
            faults.append(((field,), f"is {given!r:.60}", f"only {wanted} is understood here"))
    return faults


class _Dumper(yaml.SafeDumper):
    """Quotes every text that some reader of YAML takes for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if text and read_scalar(text) == text else "'"
    if not text.isprintable():
        style = '"'  # the emitter folds some line breaks of Unicode where they are not escaped
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_map(dumper: yaml.SafeDumper, value: dict[str, Any]) -> yaml.MappingNode:
    """Short ones on a line, long ones with a line per field."""
    flow = None if len(value) <= 4 else False
    return dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=flow)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(dict, _represent_map)
