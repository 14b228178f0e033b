using System.IO.Compression;
using OrtCpr.Graph;

namespace OrtCpr.Data;

/// <summary>Reading data files: errors of the file system name the file.</summary>
internal static class DataFile
{
    public static T Guard<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotRead(path, error);
        }
    }

    /// <summary>A whole file of at most 2 GiB, unpacked where it is a .gz. <c>most</c>: what the format can come to; an
    /// archive of more is refused before it is unpacked.</summary>
    public static byte[] ReadAll(string path, long most = int.MaxValue) => Guard(path, () =>
    {
        using FileStream file = File.OpenRead(path);
        if (!path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase))
        {
            if (file.Length > most) throw new DataFileException($"'{path}' has {file.Length} bytes; expected at most {most}.");
            byte[] all = new byte[file.Length];
            file.ReadExactly(all);
            return all;
        }
        try
        {
            using var unpacked = new GZipStream(file, CompressionMode.Decompress);
            using var target = new MemoryStream();
            byte[] block = new byte[1 << 16];
            for (int got; (got = unpacked.Read(block)) > 0; target.Write(block, 0, got))
            {
                if (target.Length + got > most) throw new DataFileException($"'{path}' unpacks to more than {most} bytes.");
            }
            return target.ToArray();
        }
        catch (InvalidDataException error)
        {
            throw new DataFileException($"'{path}' is no gzip file, or is cut off: {error.Message}", error);
        }
    });
}
