using Microsoft.ML.OnnxRuntime;

namespace ExistingPipeline;

/// <summary>A program for ONNX Runtime's on-device training, as its documentation has it: five clusters in ten dimensions, a
/// perceptron.</summary>
internal static class Pipeline
{
    private const int BatchSize = 16, Features = 10, Classes = 5;

    /// <summary>Trains the artifacts of a folder and leaves <c>checkpoint</c> and <c>inference.onnx</c> in another.</summary>
    /// <returns>Evaluation loss before and after.</returns>
    public static (float Before, float After) Run(string artifacts, string output, int steps)
    {
        TrainingUtils.SetSeed(1);
        using CheckpointState state = CheckpointState.LoadCheckpoint(Path.Combine(artifacts, "checkpoint"));
        using var session = new TrainingSession(state, Path.Combine(artifacts, "training_model.onnx"),
            Path.Combine(artifacts, "eval_model.onnx"), Path.Combine(artifacts, "optimizer_model.onnx"));
        session.RegisterLinearLRScheduler(10, steps, 0.02f);
        var random = new Random(7);
        float before = Evaluate(session, new Random(99));
        for (int step = 0; step < steps; step++)
        {
            using OrtValue features = OrtValue.CreateTensorValueFromMemory(new float[BatchSize * Features], [BatchSize, Features]),
                labels = OrtValue.CreateTensorValueFromMemory(new long[BatchSize], [BatchSize]);
            Fill(features.GetTensorMutableDataAsSpan<float>(), labels.GetTensorMutableDataAsSpan<long>(), random);
            using IDisposableReadOnlyCollection<OrtValue> outputs = session.TrainStep([features, labels]);
            session.OptimizerStep();
            session.SchedulerStep();
            session.LazyResetGrad();
        }
        float after = Evaluate(session, new Random(99));
        state.AddProperty("epoch", 1L);
        state.AddProperty("loss", after);
        CheckpointState.SaveCheckpoint(state, Path.Combine(output, "checkpoint"), includeOptimizerState: true);
        session.ExportModelForInferencing(Path.Combine(output, "inference.onnx"), ["output"]);
        return (before, after);
    }

    private static float Evaluate(TrainingSession session, Random random)
    {
        float[] features = new float[BatchSize * Features], loss = new float[1], scores = new float[BatchSize * Classes];
        long[] labels = new long[BatchSize];
        Fill(features, labels, random);
        using FixedBufferOnnxValue x = Fixed(features, BatchSize, Features), y = Fixed(labels, BatchSize), lossBuffer = Fixed(loss),
            scoreBuffer = Fixed(scores, BatchSize, Classes);
        session.EvalStep([x, y], [lossBuffer, scoreBuffer]);
        return loss[0];
    }

    private static FixedBufferOnnxValue Fixed<T>(T[] values, params ReadOnlySpan<int> shape) where T : unmanaged =>
        FixedBufferOnnxValue.CreateFromTensor(new Microsoft.ML.OnnxRuntime.Tensors.DenseTensor<T>(values, shape));

    private static void Fill(Span<float> features, Span<long> labels, Random random)
    {
        for (int i = 0; i < labels.Length; i++)
        {
            labels[i] = random.Next(Classes);
            for (int j = 0; j < Features; j++)
            {
                features[(i * Features) + j] = (float)random.NextDouble() + (j % Classes == labels[i] ? 1 : 0);
            }
        }
    }
}
