namespace OrtCpr.Graph.Files;

/// <summary>Turns what the file system refuses into an error that names the file.</summary>
internal static class FileGuard
{
    /// <summary>Does something that writes a file or makes a folder.</summary>
    /// <param name="path">The file or folder, for the message.</param>
    /// <param name="action">What to do.</param>
    /// <exception cref="FileAccessException">The file system refused.</exception>
    public static T Write<T>(string path, Func<T> action)
    {
        try
        {
            return action();
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotWrite(path, error);
        }
    }

    /// <inheritdoc cref="Write{T}(string, Func{T})"/>
    public static void Write(string path, Action action) => Write(path, () =>
    {
        action();
        return true;
    });
}
