"""Delivery: exactly once inside Kafka. The only place that knows Faust (design section 5).

``worker.run_worker`` is the way in; ``settings`` has what it is given and what it reports. Importing this package
imports neither Faust nor aiokafka, so that readers of the state topics can use ``positions`` alone.
"""
