using OrtCpr;

namespace Grokking;

// Batches of the training set over one pair of buffers that are filled again for each step.
internal sealed class TrainingBatches : IDisposable
{
    private readonly Examples _examples;
    private readonly long[] _tokens, _labels;
    private readonly Batch _full, _last;

    public TrainingBatches(Examples examples, int size)
    {
        _examples = examples;
        Size = Math.Min(size, examples.Count);
        Count = (examples.Count + Size - 1) / Size;
        _tokens = new long[Size * Examples.Length];
        _labels = new long[Size];
        _full = Over(Size);
        _last = Over(examples.Count - ((Count - 1) * Size));
    }

    public int Size { get; }

    // Batches an epoch; the last one is smaller where the size does not divide.
    public int Count { get; }

    // The batch of a number from 0; valid until the next call.
    public Batch Fill(int[] order, int number)
    {
        ReadOnlySpan<int> rows = order.AsSpan(number * Size, Math.Min(Size, order.Length - (number * Size)));
        for (int i = 0; i < rows.Length; i++)
        {
            _examples.Tokens.AsSpan(rows[i] * Examples.Length, Examples.Length).CopyTo(_tokens.AsSpan(i * Examples.Length));
            _labels[i] = _examples.Labels[rows[i]];
        }
        return number == Count - 1 ? _last : _full;
    }

    public void Dispose()
    {
        _full.Dispose();
        _last.Dispose();
    }

    private Batch Over(int rows) => new Batch()
        .Add("tokens", _tokens.AsMemory(0, rows * Examples.Length), rows, Examples.Length)
        .Add("labels", _labels.AsMemory(0, rows), rows);
}
