namespace OrtCpr.Graph.Files;

/// <summary>Replaces a file as a whole: whoever looks sees the old content or the new one, also after a crash or a full disk.</summary>
internal static class AtomicFile
{
    /// <summary>Writes to a temporary file in the same folder, flushes it to the disk and renames it over <paramref name="path"/>.</summary>
    /// <param name="path">File to replace or create.</param>
    /// <param name="write">Writes the content. When it throws, the temporary file is removed and the old one stays.</param>
    /// <exception cref="FileAccessException">The file system refused; names the file.</exception>
    internal static void Write(string path, Action<Stream> write)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            try
            {
                using (FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16))
                {
                    write(stream);
                    stream.Flush(flushToDisk: true);
                }
                File.Move(temporary, path, overwrite: true);
            }
            catch
            {
                TryDelete(temporary);
                throw;
            }
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotWrite(path, error);
        }
    }

    /// <summary>Deletes a file that nobody needs any more; one that can't be deleted only costs space.</summary>
    internal static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
        }
    }
}
