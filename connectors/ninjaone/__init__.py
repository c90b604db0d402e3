"""NinjaOne: client, directory, translation to facts, pollers, effects, connection test and webhook set-up."""
