// The only lines that change: these three types come from OrtCpr and run on stock ONNX Runtime. Before/Usings.cs has what was here before.
global using CheckpointState = OrtCpr.OrtTraining.CheckpointState;
global using TrainingSession = OrtCpr.OrtTraining.TrainingSession;
global using TrainingUtils = OrtCpr.OrtTraining.TrainingUtils;
