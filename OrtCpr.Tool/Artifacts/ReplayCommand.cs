using System.CommandLine;
using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using CheckpointState = OrtCpr.OrtTraining.CheckpointState;
using TrainingSession = OrtCpr.OrtTraining.TrainingSession;

namespace OrtCpr.Tool.Artifacts;

// `ortcpr artifacts replay FOLDER…`: the twin of OrtCpr.Tests/GenuineRuntime/replay.mjs. The four files of a fixture are trained by our
// session of the retired package's API, on one thread, as the script trains them by the package's own runtime.
internal static class ReplayCommand
{
    private const string Trajectory = "trajectory.safetensors";

    // As in the script: relative to 1 + loss, and what the last digit of the weights makes of it.
    private const double LossTolerance = 1e-5, DriftFactor = 10;

    public static Command Create()
    {
        Argument<string[]> folders = new("FOLDER")
        {
            Description = "Fixtures, or folders of fixtures.",
            Arity = ArgumentArity.OneOrMore,
        };
        Option<int> time = new("--time") { Description = "Steps to time after the recorded ones; the median is shown. Default none." };
        Command command = new("replay", "Trains fixtures by the session of the retired package's API here, and compares the losses.")
            { folders, time };
        command.SetAction(r =>
        {
            int passed = 0, failed = 0;
            foreach (string folder in r.GetValue(folders)!.SelectMany(Fixtures))
            {
                (bool ok, string text) = Replay(folder, r.GetValue(time));
                if (ok) passed++;
                else failed++;
                Console.WriteLine($"{(ok ? "passed" : "FAILED")}  {Path.GetFileName(folder)}  {text}");
            }
            Console.WriteLine($"{passed} passed, {failed} failed");
            return failed == 0 && passed > 0 ? 0 : 1;
        });
        return command;
    }

    internal static (bool Ok, string Text) Replay(string folder, int timedSteps)
    {
        using SafetensorsFile recorded = SafetensorsFile.Read(Path.Combine(folder, Trajectory));
        using CheckpointState state = CheckpointState.LoadCheckpoint(Path.Combine(folder, "checkpoint"));
        using var options = new SessionOptions { IntraOpNumThreads = 1 };
        using var session = new TrainingSession(options, state, Path.Combine(folder, "training_model.onnx"),
            Path.Combine(folder, "eval_model.onnx"), Path.Combine(folder, "optimizer_model.onnx"));
        OrtValue[] batch = [.. session.InputNames(training: true).Select(n => Value(recorded.Tensors[$"batch/{n}"]))];
        double[] losses = recorded.Tensors["loss"].ToDoubles(), drift = recorded.Tensors["drift/loss"].ToDoubles();
        (double error, double allowed, int at) = (0, 1, 0);
        for (int t = 0; t < losses.Length; t++)
        {
            double apart = Math.Abs(Step(session, batch) - losses[t]);
            double limit = (LossTolerance * (1 + Math.Abs(losses[t]))) + (DriftFactor * drift[t]);
            if (!(apart / limit <= error / allowed)) (error, allowed, at) = (apart, limit, t);
        }
        string text = FormattableString.Invariant($"worst: loss {at}, off by {error:E2}, allowed {allowed:E2}");
        if (timedSteps > 0)
        {
            double[] times = new double[timedSteps];
            for (int i = 0; i < timedSteps; i++)
            {
                long start = Stopwatch.GetTimestamp();
                Step(session, batch);
                times[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
            Array.Sort(times);
            text += FormattableString.Invariant($"; {times[timedSteps / 2]:F2} ms a step");
        }
        foreach (OrtValue value in batch) value.Dispose();
        return (error <= allowed, text);
    }

    private static double Step(TrainingSession session, OrtValue[] batch)
    {
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.TrainStep(batch);
        session.OptimizerStep();
        session.LazyResetGrad();
        return outputs[0].GetTensorDataAsSpan<float>()[0];
    }

    private static OrtValue Value(TensorData data)
    {
        OrtValue value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance,
            (Microsoft.ML.OnnxRuntime.Tensors.TensorElementType)(int)data.Type, [.. data.Dimensions]);
        data.Bytes.Span.CopyTo(value.GetTensorMutableRawData());
        return value;
    }

    private static IEnumerable<string> Fixtures(string folder)
    {
        if (!Directory.Exists(folder)) throw new ToolException($"FOLDER '{folder}' is not there.");
        return File.Exists(Path.Combine(folder, Trajectory)) ? [folder]
            : Directory.GetDirectories(folder).Where(d => File.Exists(Path.Combine(d, Trajectory))).Order(StringComparer.Ordinal);
    }
}
