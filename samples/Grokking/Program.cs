using Grokking;

// Trains a small transformer on modular addition until it groks, with the command lines of the authors' script.
return Settings.Run(args, (settings, cancellation) => Experiment.Run(settings, null, cancellation));
