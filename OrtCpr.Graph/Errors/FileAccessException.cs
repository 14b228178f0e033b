namespace OrtCpr.Graph;

/// <summary>A file can't be opened, read, written or replaced: it is missing, locked, not permitted, or the disk is full.
/// The message names the file; <see cref="Exception.InnerException"/> is the system's own error.</summary>
public sealed class FileAccessException : OrtCprException
{
    internal FileAccessException(string message, Exception? inner = null) : base(message, inner)
    {
    }

    internal static FileAccessException CannotRead(string path, Exception inner) =>
        Directory.Exists(path) ? new($"'{path}' is a folder; expected a file. Name a file in it.", inner)
            : new($"File '{path}' can't be read: {inner.Message} Check the path and its permissions.", inner);

    internal static FileAccessException CannotWrite(string path, Exception inner) =>
        new($"File '{path}' can't be written: {inner.Message} What stood there before is unchanged. " +
            "Check the folder, its permissions and the free space.", inner);

    /// <summary>Errors of the file system; everything else is a mistake of ours and must pass through.</summary>
    internal static bool IsFileError(Exception error) =>
        error is IOException or UnauthorizedAccessException;
}
