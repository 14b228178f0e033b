namespace OrtCpr.Checkpoints;

/// <summary>Passes writes on and counts them; more than allowed is refused before it reaches the file.</summary>
internal sealed class CountedStream(Stream target, long allowed, Func<long, Exception> tooMany) : Stream
{
    /// <summary>Bytes written so far.</summary>
    internal long Count { get; private set; }

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (Count + buffer.Length > allowed)
            throw tooMany(Count + buffer.Length);
        Count += buffer.Length;
        target.Write(buffer);
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void WriteByte(byte value) => Write(new ReadOnlySpan<byte>(in value));

    /// <summary>The file is flushed once, at its end.</summary>
    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
