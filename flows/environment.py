"""What a stage sees of the environment: what it needs to run, and no keys.

Everything else is for those around it: the remote's keys for DVC, the server's for Prefect, a webhook's token
for `flows.automations`. docs/operations.md explains the list to users.
"""

import re

ADDED = "DIGITS_STAGE_ENVIRONMENT"
"""Names the user has added, separated by spaces or commas."""

# On this machine and in containers. Names count in capitals, for proxies and npm are known in both forms.
EVERYWHERE = {
    *("DIGITS_WORKSPACE_HELD", "DO_NOT_TRACK", "SOURCE_DATE_EPOCH", "TZ"),
    *("DVC_EXP_BASELINE_REV", "DVC_EXP_NAME", "DVC_ROOT", "DVC_STAGE"),
    *("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"),
    *(
        f"NPM_CONFIG_{name}"
        for name in (
            *("FETCH_RETRIES", "FETCH_RETRY_FACTOR", "FETCH_RETRY_MAXTIMEOUT", "FETCH_RETRY_MINTIMEOUT"),
            *("HTTPS_PROXY", "MAXSOCKETS", "NOPROXY", "OFFLINE", "PREFER_OFFLINE", "PROXY", "REGISTRY"),
            *("STRICT_SSL",),
        )
    ),
    *("NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_TF32_OVERRIDE", "NVIDIA_VISIBLE_DEVICES"),
}
# What numeric libraries and their threads are set with, and npm's registries by scope.
FAMILIES = (
    r"(ATEN|BLIS|CUBLAS|CUDA|CUDNN|DNNL|GLOO|GOMP|KMP|MALLOC|MKL|NCCL|OMP|ONEDNN|OPENBLAS|PYTORCH|TORCH"
    r"|TORCHINDUCTOR|TRITON)_[A-Z0-9_]+|NPM_CONFIG_@[^:/]+:REGISTRY"
)
# Names and places of this machine: a container has its own.
HERE = {
    *("COLUMNS", "HOME", "LANG", "LANGUAGE", "LINES", "LOGNAME", "PATH", "SHELL", "TERM", "USER"),
    *("TEMP", "TMP", "TMPDIR", "CONDA_PREFIX", "VIRTUAL_ENV", "GLIBC_TUNABLES"),
    *("DYLD_FALLBACK_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH", "LD_PRELOAD"),
    *("MPLBACKEND", "MPLCONFIGDIR", "NODE_OPTIONS", "NODE_PATH", "PLAYWRIGHT_BROWSERS_PATH"),
    *("CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE"),
    *(f"NPM_CONFIG_{name}" for name in ("CACHE", "CAFILE", "GLOBALCONFIG", "PREFIX", "USERCONFIG")),
}
FAMILIES_HERE = r"LC_[A-Z]+|PYTHON[A-Z0-9]+|XDG_[A-Z]+_(DIRS|HOME)|XDG_RUNTIME_DIR"
KEYS = "AUTH|CREDENTIAL|KEY|PASS|SECRET|TOKEN"


def visible(added: str, *, here: bool) -> str:
    """A regular expression of the names of all that a stage may see of the environment.

    Args:
        added: by the user, see `ADDED`.
        here: whether it is a process of this machine, in no container.
    """
    names = sorted(EVERYWHERE | HERE if here else EVERYWHERE)
    families = [FAMILIES, FAMILIES_HERE] if here else [FAMILIES]
    known = "|".join([*map(re.escape, names), *(f"(?!.*({KEYS}))({family})" for family in families)])
    whole = "|".join(map(re.escape, filter(None, re.split(r"[\s,]+", added))))
    return f"(?i:{known})|{whole}" if whole else f"(?i:{known})"
