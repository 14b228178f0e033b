using System.Text;
using OrtCpr.Graph.Files;

namespace OrtCpr.Logging;

/// <summary>A text file that grows line by line; each line is with the operating system once <see cref="Append"/> has
/// returned, so a killed process loses half a line at most. Owns the file.</summary>
internal sealed class LogFile : IDisposable
{
    private readonly string _path;
    private readonly FileStream _stream;

    private LogFile(string path, FileStream stream) => (_path, _stream) = (path, stream);

    /// <summary>A new file, or, where a run goes on, the old one up to the step that was saved: later lines belong to
    /// steps that were never saved.</summary>
    /// <param name="path">The file.</param>
    /// <param name="head">Its first line; null for none.</param>
    /// <param name="step">Steps made before; 0 for a new run.</param>
    /// <param name="stepOf">The step of a line; null for one that was written in part.</param>
    /// <param name="warn">Told what was set aside or left out: a log is never worth a run.</param>
    public static LogFile Open(string path, string? head, long step, Func<string, long?> stepOf, Action<string> warn) =>
        FileGuard.Write(path, () =>
    {
        if (Path.GetDirectoryName(Path.GetFullPath(path)) is string folder) Directory.CreateDirectory(folder);
        List<string> lines = head is null ? [] : [head];
        if (step > 0 && File.Exists(path))
        {
            string[] old = File.ReadAllLines(path);
            if (head is not null && old.Length > 0 && old[0] != head)
            {
                string aside = Aside(path);
                File.Move(path, aside);
                warn(
                    $"The log '{path}' begins with '{Short(old[0])}', expected the columns '{Short(head)}': "
                    + "it was written in part, or by another run. "
                    + $"It is set aside as '{aside}', and a new log begins after step {step}.");
            }
            else
            {
                (string Line, long? Step)[] rows = [.. old.Skip(head is null ? 0 : 1).Select(line => (line, stepOf(line)))];
                lines.AddRange(rows.Where(r => r.Step <= step).Select(r => r.Line));
                if (rows.Count(r => r.Step is null) is int broken and > 0)
                    warn($"The log '{path}' has {broken} line(s) that were written in part; they are left out.");
            }
        }
        AtomicFile.Write(path, target => target.Write(Encoding.UTF8.GetBytes(string.Concat(lines.Select(l => l + "\n")))));
        return new LogFile(path, new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 1));
    });

    /// <summary>A name that nothing has.</summary>
    private static string Aside(string path)
    {
        string aside = $"{path}.aside";
        for (int number = 2; File.Exists(aside); number++) aside = $"{path}.aside{number}";
        return aside;
    }

    public void Append(string line) => FileGuard.Write(_path, () =>
    {
        _stream.Write(Encoding.UTF8.GetBytes(line + "\n"));
        _stream.Flush();
    });

    public void Dispose() => FileGuard.Write(_path, _stream.Dispose);

    private static string Short(string text) => text.Length <= 100 ? text : $"{text[..100]}…";
}
