using Grokking;
using OrtCpr.Distributed;

// Trains a small transformer on modular addition until it groks, with the command lines of the authors' script; under mpirun by all
// processes together, each with a batch of its own.
return DistributedProgram.Run(processes =>
    Settings.Run(args, (settings, cancellation) => Experiment.Run(settings, null, cancellation, processes)));
