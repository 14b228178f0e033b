using System.Buffers.Binary;
using System.Runtime.InteropServices;
using OrtCpr.Graph;
using OrtCpr.Graph.Files;

namespace OrtCpr.Data;

/// <summary>Windows of a stream of tokens for next-token training: <c>tokens</c> Int64 [length] and <c>labels</c>, the
/// same one token on.</summary>
/// <remarks>Windows begin every <c>stride</c> tokens. A file is mapped into memory, not read.</remarks>
internal sealed class TokenSource : DataSource
{
    private readonly MappedFile? _file;
    private readonly ReadOnlyMemory<byte> _tokens;
    private readonly int _width, _length;
    private readonly long _stride;

    private TokenSource(MappedFile? file, ReadOnlyMemory<byte> tokens, long bytes, int width, int length, long stride, string name)
    {
        (_file, _tokens, _width, _length, _stride) = (file, tokens, width, length, stride);
        long total = bytes / width;
        string? problem = length < 1 ? $"windows of {length} tokens; expected at least 1" : stride < 1
            ? $"a stride of {stride}; expected at least 1"
            : bytes % width != 0
            ? $"{bytes} bytes are no whole tokens of {width} bytes; the file is cut off, or its tokens are of another width"
            : total < length + 1 ? $"{total} tokens; expected at least {length + 1L}, one window and the token after it" : null;
        if (problem is not null)
        {
            file?.Dispose();
            throw new DataFileException($"{name}: {problem}.");
        }
        Columns = [new("tokens", ElementType.Int64, [length]), new("labels", ElementType.Int64, [length], true)];
        Count = ((total - length - 1) / stride) + 1;
    }

    public static TokenSource OfFile(string path, int length, long stride, int width)
    {
        if (width is not (2 or 4)) throw new OptionException($"'{path}' is to be read with tokens of {width} bytes; expected 2 or 4.");
        MappedFile file = new(path);
        return new TokenSource(file, default, file.Length, width, length, stride == 0 ? length : stride, $"'{path}'");
    }

    public static TokenSource OfTokens(IReadOnlyList<int> tokens, int length, long stride)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        int[] copy = [.. tokens];
        int at = Array.FindIndex(copy, t => t < 0);
        if (at >= 0) throw new DataFileException($"Token {at} is {copy[at]}; expected at least 0.");
        return new TokenSource(null, MemoryMarshal.AsBytes(copy.AsSpan()).ToArray(), copy.LongLength * 4, 4, length, stride == 0 ? length
            : stride, "The tokens");
    }

    /// <inheritdoc/>
    public override long Count { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<DataColumn> Columns { get; }

    /// <inheritdoc/>
    public override void Read(int column, long row, Span<byte> target)
    {
        ReadOnlySpan<byte> bytes = Bytes(((row * _stride) + column) * _width, _length * _width);
        for (int i = 0; i < _length; i++) BinaryPrimitives.WriteInt64LittleEndian(target[(8 * i)..], Token(bytes[(i * _width)..]));
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _file?.Dispose();
        base.Dispose(disposing);
    }

    private long Token(ReadOnlySpan<byte> bytes) =>
        _width == 2 ? BinaryPrimitives.ReadUInt16LittleEndian(bytes) : BinaryPrimitives.ReadUInt32LittleEndian(bytes);

    private ReadOnlySpan<byte> Bytes(long at, int count) =>
        _file is null ? _tokens.Span.Slice((int)at, count) : _file.Slice(at, count).Span;
}
