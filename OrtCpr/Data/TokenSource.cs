using System.Buffers.Binary;
using System.Runtime.InteropServices;
using OrtCpr.Graph;
using OrtCpr.Graph.Files;

namespace OrtCpr.Data;

/// <summary>Windows of a stream of tokens for next-token training: <c>tokens</c> Int64 [length] and <c>labels</c>, the
/// same one token on.</summary>
/// <remarks>Windows begin every <c>stride</c> tokens. A file is mapped into memory, not read.</remarks>
public sealed class TokenSource : DataSource
{
    private readonly MappedFile? _file;
    private readonly ReadOnlyMemory<byte> _tokens;
    private readonly int _width, _length;
    private readonly long _stride, _total;

    private TokenSource(MappedFile? file, ReadOnlyMemory<byte> tokens, long bytes, int width, int length, long stride, string name)
    {
        (_file, _tokens, _width, _length, _stride, _total) = (file, tokens, width, length, stride, bytes / width);
        string? problem = length < 1 ? $"windows of {length} tokens; expected at least 1" : stride < 1
            ? $"a stride of {stride}; expected at least 1"
            : bytes % width != 0
            ? $"{bytes} bytes are no whole tokens of {width} bytes; the file is cut off, or its tokens are of another width"
            : _total < length + 1 ? $"{_total} tokens; expected at least {length + 1L}, one window and the token after it" : null;
        if (problem is not null)
        {
            file?.Dispose();
            throw new DataFileException($"{name}: {problem}.");
        }
        Columns = [new("tokens", ElementType.Int64, [length]), new("labels", ElementType.Int64, [length], true)];
        Count = ((_total - length - 1) / stride) + 1;
    }

    /// <summary>A <c>.bin</c> file of unsigned integers, as nanoGPT and its kin write them.</summary>
    /// <param name="path">Without a header.</param>
    /// <param name="length">Tokens of a window, at least 1.</param>
    /// <param name="stride">Tokens from one window to the next; 0 for <paramref name="length"/>: windows that do not overlap.</param>
    /// <param name="width">Bytes a token: 2 or 4. Default 2.</param>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    /// <exception cref="OptionException">The width is another.</exception>
    /// <exception cref="DataFileException">It is no whole number of tokens, or too short for one window.</exception>
    public static TokenSource FromFile(string path, int length, long stride = 0, int width = 2)
    {
        if (width is not (2 or 4)) throw new OptionException($"'{path}' is to be read with tokens of {width} bytes; expected 2 or 4.");
        MappedFile file = new(path);
        return new TokenSource(file, default, file.Length, width, length, stride == 0 ? length : stride, $"'{path}'");
    }

    /// <summary>Tokens in memory.</summary>
    /// <param name="tokens">At least 0 each. Copied.</param>
    /// <param name="length">Tokens of a window, at least 1.</param>
    /// <param name="stride">Tokens from one window to the next; 0 for <paramref name="length"/>.</param>
    /// <exception cref="DataFileException">They are too few for one window, or one is negative.</exception>
    public static TokenSource FromTokens(IReadOnlyList<int> tokens, int length, long stride = 0)
    {
        ArgumentNullException.ThrowIfNull(tokens);
        int[] copy = [.. tokens];
        int at = Array.FindIndex(copy, t => t < 0);
        if (at >= 0) throw new DataFileException($"Token {at} is {copy[at]}; expected at least 0.");
        return new TokenSource(null, MemoryMarshal.AsBytes(copy.AsSpan()).ToArray(), copy.LongLength * 4, 4, length, stride == 0 ? length
            : stride, "The tokens");
    }

    /// <summary>How many tokens there are in all.</summary>
    public long TokenCount => _total;

    /// <summary>The largest token, which a model's table must have a row for. Reads all of them.</summary>
    public long HighestToken
    {
        get
        {
            long highest = 0;
            byte[] block = new byte[1 << 16];
            for (long at = 0; at < _total * _width; at += block.Length)
            {
                ReadOnlySpan<byte> bytes = Bytes(at, (int)Math.Min(block.Length, (_total * _width) - at));
                for (int i = 0; i < bytes.Length; i += _width) highest = Math.Max(highest, Token(bytes[i..]));
            }
            return highest;
        }
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
