using Images;
using Samples;

// A model that was trained on photographs learns which of five shapes a picture shows: its new head alone, then all of it.
return RecordOptions.Run<Settings>("ML.NET's ResNet18 with a new head, on pictures that are drawn here or on a folder of your own.", args,
    Experiment.Run);
