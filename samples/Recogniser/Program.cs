using Recogniser;
using Samples;

// A model that reads printed lines learns to read those of displays with fourteen segments, by the CTC loss.
return RecordOptions.Run<Settings>("PaddleOCR's recognition model, trained further on lines of segment displays that are drawn here.", args,
    Experiment.Run);
