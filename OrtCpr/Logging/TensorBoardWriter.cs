using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using OrtCpr.Graph;
using OrtCpr.Graph.Files;

namespace OrtCpr.Logging;

/// <summary>Scalars as a TensorBoard event file, <c>events.out.tfevents.…</c>, a new one for each writer, as
/// TensorBoard expects of each sitting of a run.</summary>
/// <remarks>Records as TensorFlow frames them: length, masked CRC-32C of the length, bytes, masked CRC-32C of the
/// bytes; the bytes are an <c>Event</c> message. A record is in the file once <see cref="Flush"/> or <see
/// cref="Dispose"/> has returned. Not thread-safe. Owns its file.</remarks>
internal sealed class TensorBoardWriter : IDisposable
{
    private static int _writers;
    private readonly FileStream _stream;
    private readonly MemoryStream _event = new(), _summary = new(), _value = new();

    /// <summary>Begins a file.</summary>
    /// <param name="folder">The run's folder; made when it is not there.</param>
    /// <exception cref="FileAccessException">The file can't be made.</exception>
    public TensorBoardWriter(string folder)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        // Names order the files of a run by time; the last number tells writers of one process apart.
        long time = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        string name = $"events.out.tfevents.{time:D10}.ortcpr.{Environment.ProcessId}.{Interlocked.Increment(ref _writers)}";
        Path = System.IO.Path.Combine(folder, name);
        _stream = FileGuard.Write(Path, () =>
        {
            Directory.CreateDirectory(folder);
            return new FileStream(Path, FileMode.CreateNew, FileAccess.Write, FileShare.Read);
        });
        WriteTime();
        Field(_event, 3, Encoding.UTF8.GetBytes("brain.Event:2"));
        WriteRecord();
        Flush();
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>Adds a scalar.</summary>
    /// <param name="tag">Its name; <c>/</c> groups charts.</param>
    /// <param name="step">At which step.</param>
    /// <param name="value">Stored as float32.</param>
    /// <exception cref="FileAccessException">The file can't be written.</exception>
    public void AddScalar(string tag, long step, double value)
    {
        ArgumentNullException.ThrowIfNull(tag);
        WriteTime();
        Varint(_event, 2 << 3);
        Varint(_event, (ulong)step);
        _value.SetLength(0);
        _summary.SetLength(0);
        Field(_value, 1, Encoding.UTF8.GetBytes(tag));
        Span<byte> number = stackalloc byte[sizeof(float)];
        BinaryPrimitives.WriteSingleLittleEndian(number, (float)value);
        Varint(_value, (2 << 3) | 5);
        _value.Write(number);
        Field(_summary, 1, _value.GetBuffer().AsSpan(0, (int)_value.Length));
        Field(_event, 5, _summary.GetBuffer().AsSpan(0, (int)_summary.Length));
        WriteRecord();
    }

    /// <summary>Hands what has been added to the operating system.</summary>
    /// <exception cref="FileAccessException">The file can't be written.</exception>
    public void Flush() => FileGuard.Write(Path, () => _stream.Flush());

    /// <inheritdoc/>
    public void Dispose() => FileGuard.Write(Path, _stream.Dispose);

    /// <summary>Wall time, field 1, a double; begins an event.</summary>
    private void WriteTime()
    {
        _event.SetLength(0);
        Varint(_event, (1 << 3) | 1);
        Span<byte> seconds = stackalloc byte[sizeof(double)];
        BinaryPrimitives.WriteDoubleLittleEndian(seconds, (DateTime.UtcNow - DateTime.UnixEpoch).TotalSeconds);
        _event.Write(seconds);
    }

    private void WriteRecord()
    {
        byte[] bytes = _event.ToArray();
        Span<byte> head = stackalloc byte[12], tail = stackalloc byte[4];
        BinaryPrimitives.WriteUInt64LittleEndian(head, (ulong)bytes.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head[8..], Masked(head[..8]));
        BinaryPrimitives.WriteUInt32LittleEndian(tail, Masked(bytes));
        byte[] record = [.. head, .. bytes, .. tail];
        FileGuard.Write(Path, () => _stream.Write(record));
    }

    internal static uint Masked(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in bytes) crc = BitOperations.Crc32C(crc, b);
        crc = ~crc;
        return ((crc >> 15) | (crc << 17)) + 0xa282ead8;
    }

    private static void Field(MemoryStream target, int number, ReadOnlySpan<byte> bytes)
    {
        Varint(target, ((ulong)number << 3) | 2);
        Varint(target, (ulong)bytes.Length);
        target.Write(bytes);
    }

    private static void Varint(MemoryStream target, ulong value)
    {
        for (; value >= 0x80; value >>= 7) target.WriteByte((byte)(value | 0x80));
        target.WriteByte((byte)value);
    }
}
