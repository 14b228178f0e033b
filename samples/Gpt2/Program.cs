using Gpt2;
using Samples;

// Trains a GPT2 from its graph on token files, AdamW with several decays against AdamCPR without one.
return SampleProgram.Run(CommandLine.Create(Experiment.Run), args);
