"""The cluster that a kubeconfig names. The only place in the library that knows the Kubernetes client, which
is imported when a command connects.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rl_platform.cli.api_requests import Cluster
from rl_platform.cli.cluster_errors import NotConfigured

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def connect(kubeconfig: str | None, context: str | None, namespace: str | None) -> Cluster:
    """By file, context and namespace; what is None comes from KUBECONFIG, ~/.kube/config, or a pod's account.

    Raises NotConfigured.
    """
    try:
        from kubernetes import client, config
        from kubernetes.client.rest import RESTClientObject
    except ImportError:
        raise NotConfigured(
            "the package kubernetes is not installed: pip install 'rl-platform[cluster]'"
        ) from None
    settings = client.Configuration()
    files = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    found = any(each and Path(each).expanduser().is_file() for each in files.split(os.pathsep))
    try:
        if found:
            own = _context(files, context).get("namespace")
            config.load_kube_config(files, context, settings)
        elif not kubeconfig and not context and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(settings)
            own = NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else None
        else:
            hint = "name one with --kubeconfig FILE or KUBECONFIG"
            raise NotConfigured(f"there is no kubeconfig at {files}: {hint}")
        pool = RESTClientObject(settings).pool_manager
    except (config.ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise NotConfigured(f"{files} cannot be used as a kubeconfig: {error}") from error

    def authorization() -> str | None:
        """Asked for each request: the client renews tokens that run out."""
        value = settings.get_api_key_with_prefix("BearerToken", alias="authorization")
        return str(value) if value else None

    usual = own or "default"
    return Cluster(pool, settings.host, authorization, namespace or usual, usual)


def _context(files: str, name: str | None) -> dict[str, Any]:
    """The context that is meant. Raises NotConfigured with those that there are."""
    import yaml
    from kubernetes.config.kube_config import KubeConfigMerger

    try:
        merged = KubeConfigMerger(files).config
    except yaml.YAMLError as error:
        raise NotConfigured(f"{files} is not YAML: {error}") from error
    contexts = {each["name"]: each.value.get("context") or {} for each in merged.value["contexts"]}
    chosen = name or merged.value.get("current-context")
    there_are = f"there are {', '.join(map(str, contexts))}" if contexts else "it has none"
    if not chosen:
        raise NotConfigured(f"{files} names no current context: choose one with --context, {there_are}")
    if chosen not in contexts:
        raise NotConfigured(f"{files} has no context {chosen}: {there_are}")
    return dict(contexts[chosen])
