// Nothing. To have imported it is to have brought up all that imports a module.
