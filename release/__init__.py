"""What a release needs besides the code: locked dependencies, their licences, and the bill of materials.

runtime.lock is what the image installs, build.lock what builds its wheel, tools.lock what sbom.py needs, and the
linter of the Dockerfile. What developers install is requirements.lock, at the top.
"""
