"""The shell around the pure core: settings, Faust apps, delivery, executors, timers, health, broker and the command line."""
