using Gpt2;

// Trains a GPT2 from its graph on token files, AdamW with several decays against AdamCPR without one.
return Settings.Run(args, Experiment.Run);
