using WakeWord;

// A small head learns to hear a word in sounds: of the sample's own making, or in a folder of WAV files.
return Settings.Run(args, Experiment.Run);
