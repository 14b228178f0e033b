namespace OrtCpr.Tests.House;

/// <summary>The sources of this repository, for tests that read them.</summary>
internal static class Repository
{
    /// <summary>The folder with the solution.</summary>
    public static string Root { get; } = Find();

    /// <summary>All C# sources, with paths relative to the root and with forward slashes; build output is left out.</summary>
    public static IEnumerable<(string Path, string[] Lines)> Sources(string under = "") =>
        Directory.EnumerateFiles(Path.Combine(Root, under), "*.cs", SearchOption.AllDirectories)
            .Select(file => (Path: Path.GetRelativePath(Root, file).Replace('\\', '/'), File: file))
            .Where(source => !source.Path.Split('/').Any(part => part is "bin" or "obj" || part.StartsWith('.')))
            .OrderBy(source => source.Path, StringComparer.Ordinal)
            .Select(source => (source.Path, File.ReadAllLines(source.File)));

    private static string Find()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "OrtCpr.sln"))) folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException("OrtCpr.sln is in no folder above the tests.");
    }
}
