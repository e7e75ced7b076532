"""Points old releases of boto3 at the platform: boto3 reads AWS_ENDPOINT_URL since 1.28 (botocore 1.31), and before that a function that
names no endpoint would call Amazon. Nothing is loaded ahead: botocore.session is changed when it is there, or comes."""

import importlib.machinery
import os
import sys

SESSION = "botocore.session"
AWARE = (1, 31)  # the first release that reads the variables itself


def install():
    if SESSION in sys.modules:
        patch(sys.modules[SESSION])
    else:
        sys.meta_path.insert(0, Finder)


class Finder:
    """Finds botocore.session as Python would, and has it patched once it has been loaded."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != SESSION:
            return None
        sys.meta_path.remove(cls)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            patch(module)

        spec.loader.exec_module = exec_module
        return spec


def patch(module):
    version = tuple(int(n) for n in getattr(module, "__version__", "").split(".")[:2] if n.isdigit())
    if not version or version >= AWARE:
        return
    create = module.Session.create_client

    def create_client(self, service_name, *args, **kwargs):
        if len(args) < 5 and kwargs.get("endpoint_url") is None:  # the fifth that follows the service's name
            url = endpoint(service_name)
            if url:
                kwargs["endpoint_url"] = url
        return create(self, service_name, *args, **kwargs)

    module.Session.create_client = create_client


def endpoint(service):
    if os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    name = service.upper().replace("-", "_").replace(" ", "_")
    return os.environ.get("AWS_ENDPOINT_URL_" + name) or os.environ.get("AWS_ENDPOINT_URL")
