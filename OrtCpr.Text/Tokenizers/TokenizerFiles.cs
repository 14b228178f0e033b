using OrtCpr.Data;
using OrtCpr.Graph;

namespace OrtCpr.Text;

/// <summary>Which file is what kind of tokenizer.</summary>
internal static class TokenizerFiles
{
    /// <summary>Kinds in the order in which a folder is searched for them.</summary>
    private static readonly (string Pattern, Func<string, string, bool?, TextTokenizer> Read)[] Kinds =
    [
        ("tokenizer.json", (path, _, lowerCase) => TokenizerJson.Read(path, lowerCase)),
        ("vocab.txt", (path, _, lowerCase) => WordPieceFile.Read(path, lowerCase)),
        ("vocab.json", (path, folder, _) => BytePairFiles.Read(path, Path.Combine(folder, "merges.txt"))),
        ("merges.txt", (path, folder, _) => BytePairFiles.Read(Path.Combine(folder, "vocab.json"), path)),
        ("*.model", (path, _, _) => SentencePieceFile.Read(path)),
        // Vocabularies that are called otherwise.
        ("*.txt", (path, _, lowerCase) => WordPieceFile.Read(path, lowerCase)),
        ("*.json", (path, _, lowerCase) => TokenizerJson.Read(path, lowerCase)),
    ];

    // A folder may hold any text; only the files with names of their own are looked for.
    private const int InFolders = 5;

    private static string Expected => "tokenizer.json, vocab.txt, vocab.json with merges.txt, or *.model (SentencePiece)";

    public static TextTokenizer Open(string path, bool? lowerCase)
    {
        if (Directory.Exists(path))
        {
            foreach ((string pattern, Func<string, string, bool?, TextTokenizer> read) in Kinds.Take(InFolders))
            {
                string[] found = DataFile.Guard(path, () => Directory.GetFiles(path, pattern));
                if (found.Length > 1)
                {
                    throw new DataFileException(
                        $"'{path}' has several tokenizers: "
                            + $"{string.Join(", ", found.Select(Path.GetFileName).Order(StringComparer.Ordinal))}. "
                        + "Name the file.");
                }
                if (found.Length == 1) return Guarded(found[0], path, lowerCase, read);
            }
            throw new DataFileException($"'{path}' has no tokenizer; expected {Expected}.");
        }
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        foreach ((string pattern, Func<string, string, bool?, TextTokenizer> read) in Kinds)
        {
            if (System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(pattern, Path.GetFileName(path), ignoreCase: false))
                return Guarded(path, folder, lowerCase, read);
        }
        if (!File.Exists(path)) throw FileAccessException.CannotRead(path, new FileNotFoundException("There is no such file or folder."));
        throw new DataFileException($"It is not known what tokenizer '{path}' is; expected {Expected}.");
    }

    /// <summary>What the library says of a file that it can't use is said of the file.</summary>
    private static TextTokenizer Guarded(string path, string folder, bool? lowerCase,
        Func<string, string, bool?, TextTokenizer> read)
    {
        try
        {
            return DataFile.Guard(path, () => read(path, folder, lowerCase));
        }
        catch (Exception error) when (error is not (OrtCprException or OutOfMemoryException))
        {
            throw new DataFileException($"'{path}' is no tokenizer that can be used: {error.Message.ReplaceLineEndings(" ")}", error);
        }
    }
}
