using System.Text;
using OrtCpr.Graph;
using OrtCpr.Graph.Files;

namespace OrtCpr.Logging;

// A text file that grows line by line; each line is with the operating system once Append has returned, so a killed process loses half a line at most.
// Owns the file.
internal sealed class LogFile : IDisposable
{
    private readonly string _path;
    private readonly FileStream _stream;

    private LogFile(string path, FileStream stream) => (_path, _stream) = (path, stream);

    // A new file, or, where a run goes on (`step` above 0), the old one up to that step: later lines belong to steps that were never saved. A file with
    // another head is another log's, and is refused.
    public static LogFile Open(string path, string? head, long step, Func<string, long?> stepOf) => Guard(path, () =>
    {
        if (Path.GetDirectoryName(Path.GetFullPath(path)) is string folder) Directory.CreateDirectory(folder);
        List<string> lines = head is null ? [] : [head];
        if (step > 0 && File.Exists(path))
        {
            string[] old = File.ReadAllLines(path);
            if (head is not null && old.Length > 0 && old[0] != head)
                throw new DriverException($"'{path}' begins with '{Short(old[0])}', expected the columns '{Short(head)}'. It is the log of another run: name another file, or move it away.");
            lines.AddRange(old.Skip(head is null ? 0 : 1).Where(line => stepOf(line) <= step));
        }
        AtomicFile.Write(path, target => target.Write(Encoding.UTF8.GetBytes(string.Concat(lines.Select(l => l + "\n")))));
        return new LogFile(path, new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 1));
    });

    public void Append(string line) => Guard(_path, () =>
    {
        _stream.Write(Encoding.UTF8.GetBytes(line + "\n"));
        _stream.Flush();
    });

    public void Dispose() => Guard(_path, _stream.Dispose);

    internal static T Guard<T>(string path, Func<T> action)
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

    internal static void Guard(string path, Action action) => Guard(path, () =>
    {
        action();
        return true;
    });

    private static string Short(string text) => text.Length <= 100 ? text : $"{text[..100]}…";
}
