using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Tables.Columns;

namespace OrtCpr.Tables.Formats;

/// <summary>A format of files: what it begins with, and who reads it.</summary>
internal sealed record TableFormat(string Name, Func<Stream, byte[], TableReader> Open)
{
    private const int MagicLength = 6;

    /// <summary>Of an IOException that a package throws by itself; one of the system has the system's number.</summary>
    private const int OwnError = unchecked((int)0x80131620);

    /// <summary>What a file begins with that is none of the format, and what to tell its owner.</summary>
    public required IReadOnlyList<(byte[] Magic, string Advice)> Others { get; init; }

    public static readonly TableFormat Parquet = new("a Parquet file", (stream, _) => ParquetTable.Open(stream))
    {
        Others = [("PARE"u8.ToArray(), "its footer is encrypted; decrypt it"), ("ARROW1"u8.ToArray(), "it is an Arrow file")],
    };

    public static readonly TableFormat Arrow = new("an Arrow file or stream",
        (stream, start) => ArrowTable.Open(stream, start.AsSpan().StartsWith("ARROW1"u8)))
    {
        Others =
        [
            ("FEA1"u8.ToArray(), "it is Feather of version 1; write it anew as version 2"), ("PAR1"u8.ToArray(), "it is a Parquet file"),
        ],
    };

    /// <summary>Reads a file.</summary>
    /// <exception cref="FileAccessException">It can't be opened or read.</exception>
    /// <exception cref="DataFileException">It breaks the format.</exception>
    public T Read<T>(string path, Func<TableReader, T> read) => DataFile.Guard(path, () =>
    {
        using FileStream stream = File.OpenRead(path);
        byte[] start = new byte[MagicLength];
        int length = stream.ReadAtLeast(start, MagicLength, throwOnEndOfStream: false);
        stream.Position = 0;
        foreach ((byte[] magic, string advice) in Others)
        {
            if (start.AsSpan(0, length).StartsWith(magic)) throw new DataFileException($"'{path}' is not {Name}: {advice}.");
        }
        try
        {
            using TableReader table = Open(stream, start);
            return read(table);
        }
        // The packages have no error of their own for a damaged file: what comes is whatever its bytes lead to.
        catch (Exception error) when (error is EndOfStreamException or IOException { HResult: OwnError }
            || !(error is OrtCprException || FileAccessException.IsFileError(error)))
        {
            string what = error switch
            {
                EndOfStreamException => "it ends too early",
                OutOfMemoryException => "it takes more memory than there is; choose fewer columns",
                _ => error.Message.ReplaceLineEndings(" ").TrimEnd('.'),
            };
            throw new DataFileException($"'{path}' is not {Name}, or is damaged: {what}.", error);
        }
        catch (DataFileException error) when (!error.Message.StartsWith('\''))
        {
            throw new DataFileException($"'{path}' is damaged: {error.Message}.", error);
        }
    });
}
