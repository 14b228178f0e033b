using Microsoft.ML.OnnxRuntime;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>A session of the model alone on a task's inputs: what training of a head cannot do without.</summary>
internal sealed class ForwardPass : ITrainingSide
{
    private readonly InferenceSession _session;
    private readonly Batch _inputs;
    private readonly RunOptions _run = new();

    /// <param name="model">Path of the model.</param>
    /// <param name="task">Whose inputs it gets.</param>
    /// <param name="threads">Threads of the session.</param>
    public ForwardPass(string model, FineTuneTask task, int threads)
    {
        using var options = new SessionOptions { IntraOpNumThreads = threads };
        _session = new InferenceSession(model, options);
        _inputs = task.NewInputs();
    }

    /// <summary>One run; there is no loss.</summary>
    /// <returns>Not a number.</returns>
    public double Step()
    {
        using IDisposableReadOnlyCollection<OrtValue> outputs =
            _session.Run(_run, [.. _inputs.Tensors.Keys], [.. _inputs.Tensors.Values], ["logits"]);
        return double.NaN;
    }

    public void Dispose()
    {
        _inputs.Dispose();
        _session.Dispose();
        _run.Dispose();
    }
}
