"""Runs inside a client's own virtual environment: makes the calls that a test names and prints what came of them.

    python driver.py '[["hf_hub_download", {"repo_id": "a/b", "filename": "config.json"}], …]'

The last line of the output is a JSON list with one entry per call, `{"value": …}` or `{"error": …}`. The calls are
those of the library; this file only turns their results into JSON, and does so for every version under test.
"""

import hashlib
import json
import os
import sys
import traceback
from pathlib import Path

import huggingface_hub
from huggingface_hub import HfApi, HfFileSystem

CALLS = {}


def call(function):
    CALLS[function.__name__] = function
    return function


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder(path):
    """Every file below a folder with its sha256, without the library's own bookkeeping."""
    root = Path(path)
    files = {}
    for file in sorted(root.rglob("*")):
        name = file.relative_to(root).as_posix()
        if file.is_file() and not name.startswith(".cache/"):
            files[name] = digest(file)
    return files


def commit_of(entry):
    commit = getattr(entry, "last_commit", None)
    return commit and {"id": commit["oid"], "title": commit["title"]}


def entry(item):
    """A RepoFile or RepoFolder."""
    if type(item).__name__ == "RepoFolder":
        return {"path": item.path, "folder": True, "tree": item.tree_id, "last_commit": commit_of(item)}
    return {
        "path": item.path,
        "size": item.size,
        "blob_id": item.blob_id,
        "sha256": item.lfs and item.lfs["sha256"],
        "xet_hash": getattr(item, "xet_hash", None),
        "last_commit": commit_of(item),
    }


def info(found):
    """A ModelInfo, DatasetInfo or SpaceInfo."""
    siblings = None
    if found.siblings is not None:
        siblings = [
            {"path": one.rfilename, "size": one.size, "blob_id": one.blob_id, "sha256": one.lfs and one.lfs["sha256"]}
            for one in found.siblings
        ]
    names = ("id", "author", "sha", "private", "gated", "disabled", "downloads", "likes", "tags", "pipeline_tag")
    result = {name: getattr(found, name, None) for name in names}
    return {**result, "siblings": siblings, "card": found.card_data.to_dict() if found.card_data else None}


@call
def version():
    return huggingface_hub.__version__


@call
def limit_http(size):
    """Lowers the size above which the library refuses plain HTTP; what it was."""
    before = huggingface_hub.constants.MAX_HTTP_DOWNLOAD_SIZE
    huggingface_hub.constants.MAX_HTTP_DOWNLOAD_SIZE = size
    return before


@call
def hf_hub_download(**arguments):
    path = huggingface_hub.hf_hub_download(**arguments)
    # One step only: from 2.x on, a blob that came by Xet may be a link to one that repositories share.
    blob = os.path.basename(os.readlink(path))
    return {"path": path, "blob": blob, "sha256": digest(path), "size": os.path.getsize(path)}


@call
def snapshot_download(**arguments):
    path = huggingface_hub.snapshot_download(**arguments)
    return {"path": path, "files": folder(path)}


@call
def model_info(**arguments):
    return info(HfApi().model_info(**arguments))


@call
def dataset_info(**arguments):
    return info(HfApi().dataset_info(**arguments))


@call
def space_info(**arguments):
    return info(HfApi().space_info(**arguments))


@call
def list_repo_tree(**arguments):
    return [entry(item) for item in HfApi().list_repo_tree(**arguments)]


@call
def list_repo_files(**arguments):
    return HfApi().list_repo_files(**arguments)


@call
def get_paths_info(**arguments):
    return [entry(item) for item in HfApi().get_paths_info(**arguments)]


@call
def list_repo_refs(**arguments):
    refs = HfApi().list_repo_refs(**arguments)
    kinds = ("branches", "converts", "tags", "pull_requests")
    return {kind: {ref.ref: ref.target_commit for ref in getattr(refs, kind) or []} for kind in kinds}


@call
def list_repo_commits(**arguments):
    return [
        {"id": commit.commit_id, "title": commit.title, "authors": commit.authors}
        for commit in HfApi().list_repo_commits(**arguments)
    ]


@call
def repo_exists(**arguments):
    return HfApi().repo_exists(**arguments)


@call
def revision_exists(**arguments):
    return HfApi().revision_exists(**arguments)


@call
def file_exists(**arguments):
    return HfApi().file_exists(**arguments)


@call
def whoami():
    return HfApi().whoami()


@call
def auth_check(**arguments):
    return HfApi().auth_check(**arguments)


@call
def list_models(**arguments):
    return [model.id for model in HfApi().list_models(**arguments)]


@call
def get_safetensors_metadata(**arguments):
    found = HfApi().get_safetensors_metadata(**arguments)
    tensors = {name: sorted(file.tensors) for name, file in found.files_metadata.items()}
    return {"sharded": found.sharded, "parameters": found.parameter_count, "tensors": tensors}


@call
def fs_ls(path):
    return {item["name"]: item["size"] if item["type"] == "file" else item["type"] for item in HfFileSystem().ls(path)}


@call
def fs_glob(path):
    return sorted(HfFileSystem().glob(path))


@call
def fs_read(path, ranges, block_size=65536):
    """The sha256 of each range, read through one open file."""
    digests = []
    with HfFileSystem().open(path, "rb", block_size=block_size) as file:
        for start, length in ranges:
            file.seek(start)
            digests.append(hashlib.sha256(file.read(length)).hexdigest())
    return digests


@call
def fs_get(path, local_path):
    HfFileSystem().get_file(path, local_path)
    return digest(local_path)


@call
def fs_exists(path):
    return HfFileSystem().exists(path)


@call
def no_exist(repo_id):
    """What the cache remembers as absent, as `commit/path`."""
    name = "models--" + repo_id.replace("/", "--")
    root = Path(huggingface_hub.constants.HF_HUB_CACHE) / name / ".no_exist"
    return [file.relative_to(root).as_posix() for file in sorted(root.rglob("*")) if file.is_file()]


@call
def cached_refs(repo_id):
    root = Path(huggingface_hub.constants.HF_HUB_CACHE) / ("models--" + repo_id.replace("/", "--")) / "refs"
    return {file.relative_to(root).as_posix(): file.read_text() for file in root.rglob("*") if file.is_file()}


@call
def config_and_tokenizer(repo_id, text, **arguments):
    from transformers import AutoConfig, AutoTokenizer  # noqa: PLC0415 (only one of the environments has it)

    config = AutoConfig.from_pretrained(repo_id, **arguments)
    tokenizer = AutoTokenizer.from_pretrained(repo_id, **arguments)
    ids = tokenizer(text)["input_ids"]
    return {
        "model_type": config.model_type,
        "hidden_size": config.hidden_size,
        "ids": ids,
        "tokens": tokenizer.convert_ids_to_tokens(ids),
    }


def failure(error):
    response = getattr(error, "response", None)
    lines = traceback.format_exception(error)
    return {
        "type": type(error).__name__,
        "bases": [base.__name__ for base in type(error).__mro__],
        "message": str(error),
        "status": getattr(response, "status_code", None),
        "code": response.headers.get("x-error-code") if response is not None else None,
        "cause": type(error.__cause__).__name__ if error.__cause__ else None,
        "trace": "".join(lines)[-6000:],
    }


def main():
    answers = []
    for name, arguments in json.loads(sys.argv[1]):
        try:
            answers.append({"value": CALLS[name](**arguments)})
        except Exception as error:  # whatever the library raises is a result
            answers.append({"error": failure(error)})
    print()
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
