namespace OrtCpr.Tests;

/// <summary>An empty folder, gone at the end of the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    internal string FolderPath { get; } = Directory.CreateTempSubdirectory("ortcpr-tests-").FullName;

    /// <summary>Path of a file in it.</summary>
    internal string this[string name] => Path.Combine(FolderPath, name);

    /// <summary>Names of the files in it, sorted, with spaces between.</summary>
    internal string Listing => string.Join(' ', Directory.GetFiles(FolderPath).Select(Path.GetFileName).Order(StringComparer.Ordinal));

    public void Dispose() => Directory.Delete(FolderPath, recursive: true);
}
