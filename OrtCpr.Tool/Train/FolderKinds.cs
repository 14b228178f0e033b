namespace OrtCpr.Tool.Train;

// What a folder of data holds, by the files in it.
internal static class FolderKinds
{
    public const string Wav = "WAV files", Cifar = "CIFAR's binary files";

    private static readonly (string Kind, string[] Extensions)[] Kinds = [(Wav, [".wav"]), (Cifar, [".bin"])];

    // The first kind of the table of which the folder, or one below it, has a file; CIFAR's reader says what a folder of none lacks.
    public static string Of(string folder)
    {
        var options = new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true };
        HashSet<string> extensions = Directory.EnumerateFiles(folder, "*", options).Select(f => Path.GetExtension(f).ToLowerInvariant())
            .ToHashSet(StringComparer.Ordinal);
        return Kinds.FirstOrDefault(k => k.Extensions.Any(extensions.Contains), (Cifar, [])).Kind;
    }
}
