using Microsoft.ML.OnnxRuntime;

namespace Service;

// Weights that requests run on. It is let go of by the slot when the next ones come, and by each request that holds it; the last one
// disposes the session.
internal sealed class ServedModel : IDisposable
{
    private readonly InferenceSession _session;
    private int _holders = 1;

    public ServedModel(byte[] model, long version, string path)
    {
        // One thread a request: requests are many and small, and the training needs a processor too.
        using var options = new Microsoft.ML.OnnxRuntime.SessionOptions { IntraOpNumThreads = 1, InterOpNumThreads = 1 };
        _session = new InferenceSession(model, options);
        Version = version;
        Shape = ModelShape.Of(_session, path);
    }

    // Optimizer steps that the weights have seen.
    public long Version { get; }

    public ModelShape Shape { get; }

    // Logits of all rows, one after the other.
    public float[] Run(float[] rows)
    {
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(rows, [rows.Length / Shape.RowLength, .. Shape.RowDimensions]);
        using var run = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = _session.Run(run, [Shape.Input], [input], [Shape.Output]);
        return results[0].GetTensorDataAsSpan<float>().ToArray();
    }

    // False once the last holder has gone.
    public bool TryHold()
    {
        for (int holders = Volatile.Read(ref _holders); holders > 0;)
        {
            int found = Interlocked.CompareExchange(ref _holders, holders + 1, holders);
            if (found == holders) return true;
            holders = found;
        }
        return false;
    }

    // One holder less.
    public void Dispose()
    {
        if (Interlocked.Decrement(ref _holders) == 0) _session.Dispose();
    }
}

// The model of the moment.
internal sealed class ModelSlot(ServedModel first) : IDisposable
{
    private ServedModel _current = first;

    public long Version => Volatile.Read(ref _current).Version;

    public ModelShape Shape { get; } = first.Shape;

    // Does something with the model of the moment, which stays whole until that is done.
    public T Use<T>(Func<ServedModel, T> use)
    {
        ServedModel model;
        // A model that was replaced between reading and holding is gone; the next one is there then.
        do model = Volatile.Read(ref _current); while (!model.TryHold());
        try
        {
            return use(model);
        }
        finally
        {
            model.Dispose();
        }
    }

    public void Replace(ServedModel next) => Interlocked.Exchange(ref _current, next).Dispose();

    public void Dispose() => Volatile.Read(ref _current).Dispose();
}
