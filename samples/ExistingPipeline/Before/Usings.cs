// Before: the types of the retired package Microsoft.ML.OnnxRuntime.Training. The stock package still has them, but they only throw.
global using CheckpointState = Microsoft.ML.OnnxRuntime.CheckpointState;
global using TrainingSession = Microsoft.ML.OnnxRuntime.TrainingSession;
global using TrainingUtils = Microsoft.ML.OnnxRuntime.TrainingUtils;
