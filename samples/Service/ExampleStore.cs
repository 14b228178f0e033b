using System.Runtime.InteropServices;
using OrtCpr;
using Samples;

namespace Service;

// The labelled examples that came last, in memory and in a file: numbers of a row and classes as int64, then records of the row as float32
// and the label as int64. Every tenth is held out for evaluation. A record that a crash cut off is dropped when the file is opened.
internal sealed class ExampleStore : IDisposable
{
    private const int HeldOutOf = 10, LeastToTrain = 16, HeaderSize = 2 * sizeof(long);

    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _arrived = new(0, 1);
    private readonly ModelShape _shape;
    private readonly int _keep, _record;
    private readonly float[] _rows;
    private readonly long[] _labels;
    private readonly string _path;
    private FileStream _file;
    private long _seen;

    public ExampleStore(string path, ModelShape shape, int keep)
    {
        (_path, _shape, _keep) = (path, shape, keep);
        _record = (shape.RowLength * sizeof(float)) + sizeof(long);
        _rows = new float[(long)keep * shape.RowLength];
        _labels = new long[keep];
        byte[] records = LastRecords();
        for (int at = 0; at < records.Length; at += _record) Put(records.AsSpan(at, _record));
        _file = Rewrite();
        Signal();
    }

    // Examples that are here, and all that have come since the file was last opened.
    public (int Kept, long Seen) Count
    {
        get { lock (_lock) return (Kept, _seen); }
    }

    private long[] Sizes => [_shape.RowLength, _shape.Classes];

    private int Kept => (int)Math.Min(_seen, _keep);

    public void Add(float[] rows, long[] labels)
    {
        byte[] records = new byte[labels.Length * _record];
        for (int i = 0; i < labels.Length; i++)
        {
            Span<byte> record = records.AsSpan(i * _record, _record);
            MemoryMarshal.AsBytes(rows.AsSpan(i * _shape.RowLength, _shape.RowLength)).CopyTo(record);
            MemoryMarshal.Write(record[^sizeof(long)..], labels[i]);
        }
        lock (_lock)
        {
            // The file first: what is trained on is in it.
            _file.Write(records);
            _file.Flush();
            for (int at = 0; at < records.Length; at += _record) Put(records.AsSpan(at, _record));
            if (_file.Length > 2L * _keep * _record)
            {
                _file.Dispose();
                _file = Rewrite();
            }
        }
        Signal();
    }

    // Waits until examples have come since the last call, or lie there from before.
    public void WaitForNew(CancellationToken stop) => _arrived.Wait(stop);

    // Examples drawn at random; none of those that are held out.
    public Batch Draw(Random random, int size)
    {
        lock (_lock)
        {
            return BatchOf([.. Enumerable.Range(0, size).Select(_ =>
            {
                int i = random.Next(Kept);
                return i % HeldOutOf == HeldOutOf - 1 ? i - 1 - random.Next(Math.Min(i, HeldOutOf - 1)) : i;
            })]);
        }
    }

    public Batch HeldOut()
    {
        lock (_lock) return BatchOf([.. Enumerable.Range(0, Kept / HeldOutOf).Select(i => (i * HeldOutOf) + HeldOutOf - 1)]);
    }

    public void Dispose()
    {
        lock (_lock) _file.Dispose();
        _arrived.Dispose();
    }

    private Batch BatchOf(int[] places)
    {
        int length = _shape.RowLength;
        float[] rows = new float[places.Length * length];
        long[] labels = new long[places.Length];
        for (int i = 0; i < places.Length; i++)
        {
            _rows.AsSpan(places[i] * length, length).CopyTo(rows.AsSpan(i * length));
            labels[i] = _labels[places[i]];
        }
        return new Batch().Add(_shape.Input, rows, [places.Length, .. _shape.RowDimensions]).Add("labels", labels, places.Length);
    }

    private void Put(ReadOnlySpan<byte> record)
    {
        int place = (int)(_seen++ % _keep);
        MemoryMarshal.Cast<byte, float>(record[..^sizeof(long)]).CopyTo(_rows.AsSpan(place * _shape.RowLength));
        _labels[place] = MemoryMarshal.Read<long>(record[^sizeof(long)..]);
    }

    private byte[] LastRecords()
    {
        if (!File.Exists(_path)) return [];
        using FileStream file = File.OpenRead(_path);
        if (file.Length < HeaderSize) return [];
        byte[] header = new byte[HeaderSize];
        file.ReadExactly(header);
        ReadOnlySpan<long> sizes = MemoryMarshal.Cast<byte, long>(header);
        if (!sizes.SequenceEqual(Sizes))
        {
            throw new SampleException($"'{_path}' has examples of {sizes[0]} numbers and {sizes[1]} classes; expected {Sizes[0]} and "
                + $"{Sizes[1]}, as the model has them. Move the file away, or name another folder by --out.");
        }
        long whole = (file.Length - HeaderSize) / _record, taken = Math.Min(whole, _keep);
        file.Position = HeaderSize + ((whole - taken) * _record);
        byte[] records = new byte[taken * _record];
        file.ReadExactly(records);
        return records;
    }

    // The file anew, with the examples that are kept, oldest first; the old one is whole until the new one is.
    private FileStream Rewrite()
    {
        string temporary = _path + ".new";
        using (FileStream file = File.Create(temporary))
        {
            file.Write(MemoryMarshal.AsBytes(Sizes.AsSpan()));
            for (long i = _seen - Kept; i < _seen; i++)
            {
                int place = (int)(i % _keep);
                file.Write(MemoryMarshal.AsBytes(_rows.AsSpan(place * _shape.RowLength, _shape.RowLength)));
                file.Write(MemoryMarshal.AsBytes(_labels.AsSpan(place, 1)));
            }
        }
        File.Move(temporary, _path, overwrite: true);
        return new FileStream(_path, FileMode.Append, FileAccess.Write, FileShare.Read);
    }

    private void Signal()
    {
        lock (_lock)
        {
            if (Kept >= LeastToTrain && _arrived.CurrentCount == 0) _arrived.Release();
        }
    }
}
