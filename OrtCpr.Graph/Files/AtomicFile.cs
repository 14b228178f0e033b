using System.Collections.Concurrent;

namespace OrtCpr.Graph.Files;

/// <summary>Replaces a file as a whole: whoever looks sees the old content or the new one, also after a crash or a full disk.</summary>
/// <remarks>Each write has a temporary name of its own and removes what killed writers of the same file have left. One
/// fixed name would not do: between the end of a write and its renaming another process could open the file of that
/// name and cut it short. A temporary file that is being written is locked, so that the clean-up of another process
/// leaves it alone.</remarks>
internal static class AtomicFile
{
    private const string Suffix = ".tmp";

    /// <summary>Temporary files of this process, which are not always locked: not between their making and the lock,
    /// nor between the end of the write and the renaming.</summary>
    private static readonly ConcurrentDictionary<string, bool> Own = new(StringComparer.Ordinal);

    /// <summary>Writes to a temporary file in the same folder, flushes it to the disk and renames it over <paramref
    /// name="path"/>.</summary>
    /// <param name="path">File to replace or create.</param>
    /// <param name="write">Writes the content. When it throws, the temporary file is removed and the old one stays.</param>
    /// <exception cref="FileAccessException">The file system refused; names the file.</exception>
    internal static void Write(string path, Action<Stream> write)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}{Suffix}", name = Path.GetFileName(temporary);
        Own[name] = true;
        try
        {
            try
            {
                RemoveLeftovers(path);
                using (FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16))
                {
                    write(stream);
                    stream.Flush(flushToDisk: true);
                }
                // Closed first: a file that is held could not be read under its new name for a moment.
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
        finally
        {
            Own.TryRemove(name, out _);
        }
    }

    /// <summary>Temporary files of the same target that nobody holds any more: their writers were killed.</summary>
    private static void RemoveLeftovers(string path)
    {
        string full = Path.GetFullPath(path), name = Path.GetFileName(full);
        if (name.Length == 0 || Path.GetDirectoryName(full) is not string folder || !Directory.Exists(folder)) return;
        foreach (string file in Directory.EnumerateFiles(folder, $"*{Suffix}"))
        {
            string found = Path.GetFileName(file);
            bool isOurs = found.StartsWith($"{name}.", StringComparison.Ordinal) && found.Length == name.Length + 1 + 32 + Suffix.Length
                && Guid.TryParseExact(found.AsSpan(name.Length + 1, 32), "N", out _);
            if (isOurs && !Own.ContainsKey(found) && !IsHeld(file)) TryDelete(file);
        }
    }

    /// <summary>Whoever writes a file lets nobody else open it.</summary>
    private static bool IsHeld(string path)
    {
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Write, FileShare.None);
            return false;
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            return true;
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
