using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace RetiredProgram;

using OrtCpr.OrtTraining;

// A program as one was written for Microsoft.ML.OnnxRuntime.Training 1.19.2: it uses every member that the package adds. The using inside
// of the namespace is the one line that was not in it; without it the same text compiles against the types of the package
// (RetiredApiTests).
public static class Job
{
    public static List<string> Run(string folder, string output, float[] features, long[] labels)
    {
        var log = new List<string>();
        _ = new TrainingUtils();
        TrainingUtils.SetSeed(3);
        string train = Path.Combine(folder, "training_model.onnx"), eval = Path.Combine(folder, "eval_model.onnx"),
            step = Path.Combine(folder, "optimizer_model.onnx");
        using CheckpointState state = CheckpointState.LoadCheckpoint(Path.Combine(folder, "checkpoint"));
        log.Add($"valid {!state.IsInvalid}");
        using (var plain = new Session(state, train, step)) log.Add($"inputs {string.Join(" ", plain.InputNames(true))}");
        using var options = new SessionOptions();
        using (var threaded = new TrainingSession(options, state, train, eval, step)) log.Add($"rate {threaded.GetLearningRate()}");

        using var session = new TrainingSession(state, train, eval, step);
        log.Add($"outputs {string.Join(" ", session.OutputNames(training: false))}");
        int rows = labels.Length, width = features.Length / rows;
        using var x = FixedBufferOnnxValue.CreateFromTensor(new DenseTensor<float>(features, [rows, width]));
        using var y = FixedBufferOnnxValue.CreateFromTensor(new DenseTensor<long>(labels, [rows]));
        using OrtValue xValue = OrtValue.CreateTensorValueFromMemory(features, [rows, width]),
            yValue = OrtValue.CreateTensorValueFromMemory(labels, [rows]);
        float[] loss = new float[1], scores = new float[rows * 5];
        using var lossBuffer = FixedBufferOnnxValue.CreateFromTensor(new DenseTensor<float>(loss, ReadOnlySpan<int>.Empty));
        using var scoreBuffer = FixedBufferOnnxValue.CreateFromTensor(new DenseTensor<float>(scores, [rows, 5]));
        using var run = new RunOptions();

        session.SetLearningRate(0.01f);
        session.RegisterLinearLRScheduler(warmupStepCount: 1, totalStepCount: 40, initialLearningRate: 0.02f);
        for (int i = 0; i < 4; i++)
        {
            session.TrainStep([x, y], [lossBuffer, scoreBuffer]);
            session.OptimizerStep();
            session.SchedulerStep();
            session.LazyResetGrad();
            session.TrainStep(run, [x, y], [lossBuffer, scoreBuffer]);
            session.OptimizerStep(run);
            session.SchedulerStep();
            session.LazyResetGrad();
            log.Add(FormattableString.Invariant($"loss {loss[0]}"));
        }
        using (IDisposableReadOnlyCollection<DisposableNamedOnnxValue> named = session.TrainStep([x, y]))
            log.Add(named[0].Name);
        using (IDisposableReadOnlyCollection<DisposableNamedOnnxValue> named = session.TrainStep(run, [x, y]))
            log.Add(FormattableString.Invariant($"trained {named[0].AsTensor<float>().First()}"));
        using (IDisposableReadOnlyCollection<OrtValue> values = session.TrainStep([xValue, yValue])) log.Add($"{values.Count} outputs");
        session.EvalStep([x, y], [lossBuffer, scoreBuffer]);
        session.EvalStep(run, [x, y], [lossBuffer, scoreBuffer]);
        using (IDisposableReadOnlyCollection<OrtValue> values = session.EvalStep([xValue, yValue]))
            log.Add(FormattableString.Invariant($"evaluated {values[0].GetTensorDataAsSpan<float>()[0] == loss[0]}"));

        using OrtValue weights = session.ToBuffer(onlyTrainable: true), bias = state.GetParameter("0.bias");
        state.UpdateParameter("0.bias", bias);
        session.FromBuffer(weights, onlyTrainable: true);
        state.AddProperty("epoch", 2L);
        state.AddProperty("loss", 0.5f);
        state.AddProperty("name", "mlp");
        log.Add($"{state.GetProperty("epoch")} {state.GetProperty("loss")} {state.GetProperty("name")}");
        CheckpointState.SaveCheckpoint(state, Path.Combine(output, "checkpoint"), includeOptimizerState: true);
        CheckpointState.SaveCheckpoint(state, Path.Combine(output, "weights"));
        session.ExportModelForInferencing(Path.Combine(output, "inference.onnx"), ["output"]);

        log.Add(Caught(() => session.SetLearningRate(1)));
        log.Add(Caught(() => session.RegisterLinearLRScheduler(1, 2, 1)));
        log.Add(Caught(() => session.TrainStep([x, y], [lossBuffer])));
        log.Add(Caught(() => session.EvalStep([x, y], [lossBuffer])));
        log.Add(Caught(() => session.FromBuffer(xValue, onlyTrainable: true)));
        log.Add(Caught(() => session.FromBuffer(bias, onlyTrainable: true)));
        return log;
    }

    // The errors that the package's managed code raises, by their types.
    private static string Caught(Action action)
    {
        try
        {
            action();
            return "none";
        }
        catch (InvalidOperationException)
        {
            return nameof(InvalidOperationException);
        }
        catch (ArgumentException)
        {
            return nameof(ArgumentException);
        }
    }

    // A session of one's own, as the package's virtual Dispose allows.
    private sealed class Session(CheckpointState state, string trainModelPath, string optimizerModelPath)
        : TrainingSession(state, trainModelPath, optimizerModelPath)
    {
        protected override void Dispose(bool disposing) => base.Dispose(disposing);
    }
}
