"""Choose the fastest candidate that is accurate enough.

In the order of a search (``search``, within ``settings``): the recipe that brings scores nearest to fp32's
(``recipe_search`` by ``recipe_choice``, scored by ``scorer``); what quantizing each op alone does, and how long each op
takes (``cost_measurement``: ``sensitivity`` by ``single_op_pass``, ``latency_model``, over ``op_graph``); the
assignments of ops to int8 and fp32 between the fastest and the safest (``assignment``, ``ladder``); their candidates
(``assignment_search``, ``candidates``), built (``source_graph``, ``candidate_builder``), judged (``race`` by
``sequential_test``) and timed (``latency_timer``, ``latency_table``); fp32 arithmetic where nothing else will do
(``weight_storage``); and the choice (``result``). ``search_journal`` remembers every step.
"""
