"""Loads the AWS SDK before there is a function, so that a function that asks for it finds it loaded. A function must not be
able to tell, but by the clock: what was read of the environment meanwhile is told to the platform, which gives this process
to no function that sets it; and where a function or one of its layers brings a module of the same name, forget takes
everything back."""

import importlib
import importlib.machinery
import os
import sys

MODULES = ("boto3", "boto3.session", "boto3.dynamodb.conditions", "boto3.dynamodb.types", "botocore.session", "botocore.config")
SERVICES = ("dynamodb", "s3", "sqs")  # whose descriptions functions ask for most

loaded = []  # names of modules that are here only because of this


class Watched(dict):
    """The environment, while it is being noted what of it is read."""

    reads = None

    def __getitem__(self, key):
        self.reads.add(os.fsdecode(key))
        return dict.__getitem__(self, key)

    def __contains__(self, key):
        self.reads.add(os.fsdecode(key))
        return dict.__contains__(self, key)

    def __iter__(self):
        self.reads.add("*")
        return dict.__iter__(self)

    def __setitem__(self, key, value):
        self.reads.add("*")
        dict.__setitem__(self, key, value)

    def __delitem__(self, key):
        self.reads.add("*")
        dict.__delitem__(self, key)


def preload():
    """Loads, and returns the names that were read from the environment; "*" for what cannot be undone."""
    before, environment = set(sys.modules), os.environ._data
    watched = Watched(environment)
    watched.reads = reads = set()
    os.environ._data = watched
    try:
        for name in MODULES:
            importlib.import_module(name)
        warm()
    except Exception:
        pass  # this Python has no boto3, or one that is different: what is there is there
    finally:
        os.environ._data = environment
    loaded.extend(m for m in sys.modules if m not in before)
    for m in loaded:
        names = getattr(sys.modules.get(m), "__dict__", None)
        if isinstance(names, dict):
            names.pop("__warningregistry__", None)  # each is warned of once
    return sorted(reads)


def warm():
    """Makes the loader of the first session ahead: half of what a client takes is to read its service's description. It is
    the same object that the session would have made, handed out once."""
    import botocore.loaders
    import botocore.session

    make = botocore.session.create_loader
    if make is not botocore.loaders.create_loader:
        return
    loader = make(None)
    for kind in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        try:
            loader.load_data(kind)
        except Exception:
            pass  # not every version has all of them
    for service in SERVICES:
        for kind in ("service-2", "endpoint-rule-set-1"):
            try:
                loader.load_service_model(service, kind)
            except Exception:
                pass

    def create_loader(search_path_string=None):
        botocore.session.create_loader = make
        customer = getattr(botocore.loaders.Loader, "CUSTOMER_DATA_PATH", None)
        if search_path_string is None and not (customer and os.path.isdir(customer)):
            return loader
        return make(search_path_string)

    botocore.session.create_loader = create_loader


def forget(paths):
    """Takes everything back when one of these folders, which come before Python's own, has a module of a name in use."""
    tops = {name.partition(".")[0] for name in loaded}
    if not any(shadows(path, tops) for path in paths):
        return
    for name in loaded:
        sys.modules.pop(name, None)
    importlib.invalidate_caches()


def shadows(path, tops):
    try:
        names = os.listdir(path)
    except OSError:
        return False
    return any(name.partition(".")[0] in tops for name in names)
