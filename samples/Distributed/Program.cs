using Distributed;
using OrtCpr.Distributed;
using Samples;

// A small GPT2 that several processes train together: mpirun -n 2 Distributed. Two lines make that of a program for one process: this
// one, and the Collective of the driver's options.
return DistributedProgram.Run(processes => RecordOptions.Run<Settings>("A small GPT2, by one process or by those of mpirun.", args,
    (settings, cancellation) => settings.Exchange ? Measurement.Exchange(processes) : Experiment.Run(settings, processes, cancellation)));
