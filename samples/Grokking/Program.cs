using Grokking;

// Trains a small transformer on modular addition until it groks, with the command lines of the authors' script.
return CommandLine.Run(args, Experiment.Run);
