"Import names from the modules of this package, or all public ones from `lesson7_lib.all`."

__all__: list[str] = []  # else a star import would bind modules over functions of the same name
