// Package runtimes knows which interpreters this machine has, and gets more.
//
// A function asks for a runtime by AWS's name (nodejs22.x, python3.12); the machine has what it has. Registry finds the
// installed ones: Node.js and Python on the PATH and in /usr, those of nvm and pyenv, and those that Add fetched. For
// maps a name to one of them: the same version if it is there, else the nearest newer, else the nearest older, and
// of equals one that has the AWS SDK; the Choice says what was asked and what is given, so that nobody has to guess. Code with native modules that were built
// for another version is refused by file name (CheckCode), because it would crash where nobody looks.
//
// Add fetches Node.js builds and the AWS SDK for JavaScript from an npm registry, by plain HTTP and without running
// anything of theirs: packages are pinned (the SDK by the lock file in this package), their sha512 is verified before
// anything is unpacked, and they become visible whole, by a rename. Everything lands in one folder, the one that guest's
// bootstraps are installed in and that a host shows at /var/runtime:
//
//	DIR/node, DIR/python        the bootstraps (guest.Install)
//	DIR/lang/node-24.9.0/       a Node.js build
//	DIR/sdk-js/VERSION/         the SDK's packages; DIR/node_modules points to the one in use, where Lambda has it
//	DIR/sdk-js-v2/VERSION/      those of the SDK v2, which Lambda has no more; DIR/sdk-js-v2/node_modules points to it
//
// An Interpreter's Path is what the guest sees: below /var/runtime for those, the host's own path for the others, whose
// folders Binds names so that a sandbox can show them.
//
// Registry is safe for concurrent use: readers take a snapshot that Refresh and Add replace. A crash in the middle of
// Add leaves a temporary folder that the next Add removes. Which runtime names a function may have is the catalog's
// business, and whether a difference is acceptable is the operator's.
package runtimes
