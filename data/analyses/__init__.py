"""What is worked out from reports: asked once, done by a worker, kept until the reports change.

`selection` says which reports, `observations` reads them as arrays, `kept` holds questions and
answers, and `registry` names what can be asked. Each analysis is a module of its own beside them.
"""
